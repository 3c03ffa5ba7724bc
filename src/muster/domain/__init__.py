"""What things are: values, states and rules; standard library only."""
