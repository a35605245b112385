"""What a rule would have done, had it been there: asked of history before it is turned on.

`wanted`: which rules, from which YAML. `over_history`: asking them. `told`: what is said of it.
Nothing is published, and nothing on the lake changes.
"""
