"""Problems built by hand, so that the derivation is tested apart from the front end."""
