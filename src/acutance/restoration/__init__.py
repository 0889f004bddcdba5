"""From a picture as it comes to a restored one of the same kind."""
