"""What a machine is, and how it is set up."""
