"""Makes a release from a clean checkout: `make release`. CONTRIBUTING.md describes it."""
