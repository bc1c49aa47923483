"""Metering's neighbours without their business: negotiation and settlement say what a test tells them to."""
