"""Where what was promised is kept. One folder for each database; each fulfils `core.ports.Store` and passes
`testing.StoreSuite`."""
