"""Training data: folders of photographs, crops, hashes."""
