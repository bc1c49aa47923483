"""Settlement's neighbours for its tests: whoever tells it things, and metering, which keeps the readings."""
