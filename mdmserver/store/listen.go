package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
)

// keep listens on the connection, and makes another one where it is lost, until ctx ends.
func (p *postgres) keep(ctx context.Context, conn *sql.Conn) {
	for ctx.Err() == nil {
		if conn == nil {
			conn = p.rejoin(ctx)
			continue
		}
		next := p.listen(ctx, conn)
		if next != conn {
			_ = conn.Close()
		}
		conn = next
	}
	if conn != nil {
		_ = conn.Close()
	}
}

// watchCredentials has the connection made anew when credentials have changed.
func (p *postgres) watchCredentials(ctx context.Context, changed <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
			changed = p.opts.Changed()
			signal(p.poke)
		}
	}
}

// listen passes notices on until there is a reason to look after the connection. It returns the connection to go on with, nil if there is none.
func (p *postgres) listen(ctx context.Context, conn *sql.Conn) *sql.Conn {
	waiting, cancel := context.WithTimeout(ctx, checkEvery)
	defer cancel()
	poked := make(chan bool, 1)
	go func() {
		select {
		case <-p.poke:
			poked <- true
			cancel()
		case <-waiting.Done():
			poked <- false
		}
	}()
	err := p.passOn(waiting, conn)
	quiet := waiting.Err() != nil
	cancel()
	switch anew := <-poked; {
	case ctx.Err() != nil:
		return conn
	case anew:
		return p.replace(ctx, conn)
	case quiet:
		p.poll(ctx) // a notice may never have been sent
		return p.check(ctx, conn)
	case err == nil:
		return p.check(ctx, conn)
	}
	return nil
}

// passOn announces the updates of others until it hears of the epoch, ctx ends or the connection is lost.
func (p *postgres) passOn(ctx context.Context, conn *sql.Conn) error {
	return conn.Raw(func(c any) error {
		for {
			notice, err := c.(*stdlib.Conn).Conn().WaitForNotification(ctx)
			if err != nil || notice.Payload == noticeEpoch {
				return err
			}
			if notice.Payload != p.process {
				signal(p.announced)
			}
		}
	})
}

// replace makes another connection because credentials or the database have changed. The old one stays until there is one: its credentials may be the
// good ones. All connections of the pool follow.
func (p *postgres) replace(ctx context.Context, conn *sql.Conn) *sql.Conn {
	signal(p.announced)
	fresh, err := p.join(ctx)
	if err != nil {
		time.AfterFunc(pollEvery, func() { signal(p.poke) })
		return p.check(ctx, conn)
	}
	p.pool.Reset()
	return fresh
}

// check returns the connection if it is alive, and the database and its epoch are the ones that are known, else nil.
func (p *postgres) check(ctx context.Context, conn *sql.Conn) *sql.Conn {
	ctx, cancel := context.WithTimeout(ctx, p.opts.ConnectTimeout)
	defer cancel()
	here, err := p.lookAgain(ctx, conn)
	if err != nil {
		return nil
	}
	word, err := (&tx{session: conn, ctx: ctx}).Meta(metaEpoch)
	if err != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if here.identity != p.place.identity || !strings.HasPrefix(word, p.epoch+" ") {
		return nil
	}
	p.place = here
	return conn
}

// tell tells the other processes of the updates of this one, until ctx ends. Several soon after each other come as one notice: each wakes a process, and
// costs as much as a small statement. A process that ends before it has told leaves it to poll.
func (p *postgres) tell(ctx context.Context) {
	for ctx.Err() == nil {
		pause := noticeEvery
		select {
		case <-ctx.Done():
		case <-p.wrote:
			if p.notify(ctx) != nil {
				signal(p.wrote)
				pause = pollEvery
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	select {
	case <-p.wrote:
		_ = p.notify(context.WithoutCancel(ctx))
	default:
	}
}

func (p *postgres) notify(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, goodbye)
	defer cancel()
	_, err := p.readers.ExecContext(ctx, "NOTIFY "+noticeChannel+", '"+p.process+"'")
	return err
}

// rejoin tries with growing pauses to make the connection. Meanwhile it looks for updates by itself.
func (p *postgres) rejoin(ctx context.Context) *sql.Conn {
	wait := pollEvery
	for next := time.Now(); ; {
		if !time.Now().Before(next) {
			if conn, err := p.join(ctx); err == nil {
				signal(p.announced)
				return conn
			}
			next = time.Now().Add(wait)
			wait = min(2*wait, maxBackoff)
		}
		p.poll(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-p.poke:
			next = time.Now()
		case <-time.After(pollEvery):
		}
	}
}

// poll announces an update if any transaction has written since the last call, which the snapshot shows.
func (p *postgres) poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pollEvery)
	defer cancel()
	var snapshot string
	if err := p.readers.QueryRowContext(ctx, "SELECT pg_current_snapshot()::text").Scan(&snapshot); err == nil && snapshot != p.snapshot {
		if p.snapshot != "" {
			signal(p.announced)
		}
		p.snapshot = snapshot
	}
}
