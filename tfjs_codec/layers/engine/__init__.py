"""The engine of the Layers target: tracer, builder, masks, registry."""
