"""The viewer's server: runs of a folder, large logs and runs in progress, for the page that reports embed."""
