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
func (s *Store) SchemaVersion(ctx context.Context) (version int, err error) {
	err = s.run(ctx, false, func(t *tx) error {
		version, err = t.highest(versions)
		return err
	})
	return version, err
}

// NoticeEvery is the least time between two notices.
const NoticeEvery = noticeEvery

// Copied are the tables that Copy moves.
var Copied = copied

// Tables are all tables, each with its columns in order of their names.
func (s *Store) Tables(ctx context.Context) (map[string]string, error) {
	query := "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY m.name, c.name"
	if s.pool != nil {
		query = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
	}
	tables := map[string]string{}
	rows, err := s.readers.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, err
		}
		tables[table] += " " + column
	}
	return tables, rows.Err()
}
