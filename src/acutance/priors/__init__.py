"""What is known of sharp pictures, as functions of a picture: values, proximal maps, denoisers."""
