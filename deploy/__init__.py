"""What a plant needs around pm500: scripts, an example site, dashboards."""
