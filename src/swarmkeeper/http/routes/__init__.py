"""All calls of the API, one file for each noun. A call is declared with what its documentation says of it."""
