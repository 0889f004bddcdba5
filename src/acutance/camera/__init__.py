"""A camera and its lens: how its noise grows with the light, and how much it blurs in each place; in a file."""
