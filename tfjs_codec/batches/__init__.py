"""Many conversions: what they are, the engine that runs them, the journal of what is done."""
