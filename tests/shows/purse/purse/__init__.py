"""Money in whole cents, for a purse that several people share."""
