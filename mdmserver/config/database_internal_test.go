package config

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// FuzzDatabase: no Secret makes the reader panic, what it accepts is complete, a well-formed password comes through, and no error quotes a URI.
func FuzzDatabase(f *testing.F) {
	f.Add("postgresql://u:p@h1:1,[::1]:2/d?sslmode=require&port=7", "h", "5432", "u", "p%@/?#:&", "d", "verify-full")
	f.Add("postgres://u:p@[", "/run", "", "", "", "", "prefer")
	f.Add("postgres://%", "", "0", "u", "", "d", "x")
	f.Fuzz(func(t *testing.T, uri, host, port, user, password, database, mode string) {
		for _, content := range []files{
			{"uri": []byte(uri), "host": []byte(host), "user": []byte(user), "dbname": []byte(database), "sslmode": []byte(mode)},
			{"host": []byte(host), "port": []byte(port), "username": []byte(user), "password": []byte(password), "database": []byte(database)},
		} {
			c, err := parseDatabase(content, time.Now())
			if err == nil && (c.Host == "" || c.Port == 0 || c.User == "" || c.Database == "") {
				t.Errorf("accepted %+v", c)
			}
			for i := 0; err != nil && i+16 <= len(uri); i++ {
				if strings.Contains(err.Error(), uri[i:i+16]) {
					t.Errorf("the error %q quotes the URI %q", err, uri)
				}
			}
		}
		if strings.ContainsRune(password, 0) {
			return
		}
		c, err := parseDatabase(files{"uri": []byte("postgres://u:" + url.QueryEscape(strings.ReplaceAll(password, " ", "_")) + "@h/d")}, time.Now())
		if err != nil || c.Password != strings.ReplaceAll(password, " ", "_") {
			t.Errorf("the password %q comes as %q, %v", password, c.Password, err)
		}
	})
}
