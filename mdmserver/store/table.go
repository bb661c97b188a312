package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// table maps rows of type T to a table.
type table[T any] struct {
	name    string
	columns []string
	fields  func(*T) []any
	// selects ends where a condition goes, upsert takes all fields of a row.
	selects, upsert string
}

// newTable names the columns, of which the first ones, key of them, are the primary key; fields returns a pointer, Scanner or Valuer for each in the same
// order.
func newTable[T any](name string, key int, columns []string, fields func(*T) []any) table[T] {
	t := table[T]{name: name, columns: columns, fields: fields, selects: "SELECT " + strings.Join(columns, ", ") + " FROM " + name + " WHERE "}
	params := make([]string, len(columns))
	for i := range params {
		params[i] = "$" + strconv.Itoa(i+1)
	}
	sets := make([]string, 0, len(columns))
	for _, c := range columns[key:] {
		sets = append(sets, c+" = excluded."+c)
	}
	t.upsert = "INSERT INTO " + name + " (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Join(params, ", ") +
		") ON CONFLICT (" + strings.Join(columns[:key], ", ") + ") DO UPDATE SET " + strings.Join(sets, ", ")
	return t
}

// qualified are columns of a table that has another name in a select.
func qualified(name string, columns []string) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = name + "." + c
	}
	return out
}

// get returns the first row for which the condition holds, nil if there is none.
func (t *table[T]) get(tx *tx, where string, args ...any) (*T, error) {
	var row *T
	err := tx.read(t.one(&row, where, args...))
	return row, err
}

// one reads into row what get returns.
func (t *table[T]) one(row **T, where string, args ...any) statement {
	return statement{t.selects + where, args, func(r rows) error {
		if !r.Next() {
			return nil
		}
		var found T
		if err := r.Scan(t.fields(&found)...); err != nil {
			return fmt.Errorf("reading a row of %s: %w", t.name, err)
		}
		*row = &found
		return nil
	}}
}

// list returns the rows for which the condition holds. The condition may end in ORDER BY and LIMIT.
func (t *table[T]) list(tx *tx, where string, args ...any) ([]T, error) {
	var out []T
	err := tx.read(t.all(&out, where, args...))
	return out, err
}

// all reads into out what list returns.
func (t *table[T]) all(out *[]T, where string, args ...any) statement {
	return statement{t.selects + where, args, func(r rows) error {
		for r.Next() {
			var row T
			if err := r.Scan(t.fields(&row)...); err != nil {
				return fmt.Errorf("reading a row of %s: %w", t.name, err)
			}
			*out = append(*out, row)
		}
		return nil
	}}
}

// put inserts the row or replaces the one with its key.
func (t *table[T]) put(tx *tx, row T) error {
	return tx.exec(t.upsert, t.fields(&row)...)
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
