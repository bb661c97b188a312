// Package migratestore is "kubectl mdm migrate-store": it moves what a server stores from SQLite to PostgreSQL.
package migratestore
