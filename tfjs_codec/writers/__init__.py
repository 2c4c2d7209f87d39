"""Writers: each knows one output container and nothing about layers."""
