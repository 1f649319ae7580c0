"""The layers: one family of equations a file, one class a published name."""
