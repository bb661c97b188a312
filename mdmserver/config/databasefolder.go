package config

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// ReadDatabase reads where a database is from its mounted folders alone, for a program that is no server.
func ReadDatabase(p serverconfig.Postgres, now time.Time) (*pgconn.Config, error) {
	f := folder[pgconn.Config]{dir: p.Dir, caDir: p.CADir}
	content, err := f.read()
	if err != nil {
		return nil, fmt.Errorf("%s folder %s: %w", FolderDatabase, p.Dir, err)
	}
	cfg, err := parseDatabase(content, now)
	if err != nil {
		return nil, fmt.Errorf("%s folder %s: %w", FolderDatabase, p.Dir, err)
	}
	return cfg, nil
}
