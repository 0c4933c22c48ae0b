"""An OpenID provider as its client meets it: documents, keys, tokens. The only user of joserfc."""
