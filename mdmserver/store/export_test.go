package store

import (
	"context"
	"strconv"
)

// LimitSize makes the medium full beyond this many pages of the file; 0 takes the limit away.
func (s *Store) LimitSize(ctx context.Context, pages int) error {
	if pages == 0 {
		pages = 1 << 30
	}
	var got int
	return s.writer.QueryRowContext(ctx, "PRAGMA max_page_count = "+strconv.Itoa(pages)).Scan(&got)
}

// SetSchemaVersion pretends that a later program migrated the store.
func (s *Store) SetSchemaVersion(ctx context.Context, version int) error {
	_, err := s.writer.ExecContext(ctx, "INSERT INTO schema_version (version) VALUES ($1)", version)
	return err
}

// SchemaVersion is what programs of earlier releases look at.
func (s *Store) SchemaVersion(ctx context.Context) (int, error) {
	return highest(ctx, s.writer, versions)
}
