"""The door for agents and for people's own clients that speak the Model Context Protocol."""
