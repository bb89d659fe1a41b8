"""What operators run on their configuration before it is live: each tool is a function, the command line prints."""
