"""The version of ``tensorflowjs`` whose interface this is."""

version = "4.22.0"
