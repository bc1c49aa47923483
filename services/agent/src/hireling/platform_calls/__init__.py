"""What the marketplace is asked over HTTP, by what it is about; `hireling.platform_client` is all of it."""
