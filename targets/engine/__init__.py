"""What the docker and compose targets share: images, volumes, files, records, observation on a Docker Engine."""
