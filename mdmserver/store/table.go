package store

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// table maps rows of type T to a table: columns names them, key leading ones are the primary key, and fields returns a pointer,
// Scanner or Valuer for each in the same order.
type table[T any] struct {
	name    string
	key     int
	columns []string
	fields  func(*T) []any
}

// get returns the first row for which the condition holds, nil if there is none.
func (t *table[T]) get(tx *tx, where string, args ...any) (*T, error) {
	var row T
	err := tx.QueryRowContext(tx.ctx, t.selectFrom()+where, args...).Scan(t.fields(&row)...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a row of %s: %w", t.name, err)
	}
	return &row, nil
}

// list returns the rows for which the condition holds. The condition may end in ORDER BY and LIMIT.
func (t *table[T]) list(tx *tx, where string, args ...any) ([]T, error) {
	rows, err := tx.QueryContext(tx.ctx, t.selectFrom()+where, args...)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", t.name, err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var row T
		if err := rows.Scan(t.fields(&row)...); err != nil {
			return nil, fmt.Errorf("reading a row of %s: %w", t.name, err)
		}
		out = append(out, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing %s: %w", t.name, err)
	}
	return out, nil
}

// put inserts the row or replaces the one with its key.
func (t *table[T]) put(tx *tx, row T) error {
	params := make([]string, len(t.columns))
	for i := range params {
		params[i] = "$" + strconv.Itoa(i+1)
	}
	sets := make([]string, 0, len(t.columns))
	for _, c := range t.columns[t.key:] {
		sets = append(sets, c+" = excluded."+c)
	}
	q := "INSERT INTO " + t.name + " (" + strings.Join(t.columns, ", ") + ") VALUES (" + strings.Join(params, ", ") +
		") ON CONFLICT (" + strings.Join(t.columns[:t.key], ", ") + ") DO UPDATE SET " + strings.Join(sets, ", ")
	return tx.exec(q, t.fields(&row)...)
}

func (t *table[T]) selectFrom() string {
	return "SELECT " + strings.Join(t.columns, ", ") + " FROM " + t.name + " WHERE "
}

// micros is a column of Unix microseconds, 0 for the zero time.
type micros struct{ t *time.Time }

func (m micros) Value() (driver.Value, error) { return toMicros(*m.t), nil }

func (m micros) Scan(src any) error {
	v, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a time column holds %T", src)
	}
	*m.t = fromMicros(v)
	return nil
}

func toMicros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMicro(v).UTC()
}

// jsonText is a column of JSON.
type jsonText struct{ v any }

func (j jsonText) Value() (driver.Value, error) {
	b, err := json.Marshal(j.v)
	return string(b), err
}

func (j jsonText) Scan(src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("a JSON column holds %T", src)
	}
	return json.Unmarshal([]byte(s), j.v)
}
