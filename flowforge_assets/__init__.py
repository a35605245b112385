"""What exists and when: YAML components, asset factories, transforms, sensors, the command-line tool."""
