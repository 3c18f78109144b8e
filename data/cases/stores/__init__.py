"""What keeps the images of saved cases: what every store promises, a folder, and a bucket of S3."""
