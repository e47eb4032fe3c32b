"""Seeds: known memory architectures, one file each, of exactly the shape that an evolved one has."""
