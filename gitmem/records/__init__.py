"""What a file means: record kinds, their checks, and the codec between records and files."""
