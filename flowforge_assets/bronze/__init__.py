"""From landing files and sources to the bronze table of text: discovery, intake, schema changes, the assets."""
