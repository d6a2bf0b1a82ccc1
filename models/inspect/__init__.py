"""How inspection bundles are made: a person shows good parts, a bundle comes out."""
