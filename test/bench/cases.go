package main

import "time"

const (
	// fleetSize is how many devices take turns, large how many the cases with many have.
	fleetSize = 200
	large     = 10000
	// batch is how many devices enrol at a time.
	batch = 100
	pcs   = 8
	// rounds are how many commands each device gets: enough that a connection to the database, which is made for the first one, costs each little.
	rounds = 5
	// warmUp comes before what is measured for this long.
	warmUp, span = time.Second, 3 * time.Second
	// few connections are what NanoMDM's pool of two to its database serves without making new ones; many keep every processor busy.
	few, many = 2, 16
)

// side is one of the servers that are compared.
type side interface {
	start()
	stop()
	pid() int
	// cpu is what the server and its database have used, now or until the server stopped.
	cpu() (server, database time.Duration)
	// mark begins and ends the time that a profile is taken of.
	mark()
	devices() *load
	prepare(count int)
	// queue asks a command of each device; rollout gives a Profile that they are assigned to all of them.
	queue()
	assign()
	rollout()
}

// sample is what one run measured: the figure, the database's part of it where it is CPU, and the load's own CPU per request in ms.
type sample struct{ value, database, client float64 }

// benchmark is one case.
type benchmark struct {
	name, unit string
	// what says what is measured, in docs/benchmarks.md.
	what string
	bar  bar
	// alone has no peer.
	alone bool
	run   func(w *world, s side) sample
	// ours is our side.
	ours func(w *world) *ours
}

var benchmarks = []benchmark{
	{name: "apple-idle-checkin", unit: "ms/request", bar: bar{ratio: atMost(0.50)}, ours: (*world).apple, run: idleCheckin,
		what: "CPU of an idle check-in over 2 kept connections"},
	{name: "apple-idle-throughput", unit: "requests/s", bar: bar{ratio: atLeast(1.8)}, ours: (*world).apple, run: idleThroughput,
		what: "idle check-ins per second over 16 kept connections, the load on the same processors"},
	{name: "apple-command", unit: "ms/command", bar: bar{ratio: atMost(0.60)}, ours: (*world).apple, run: roundTrip,
		what: "CPU of a DeviceInformation: queued by itself through the API, Idle, command, Acknowledged, empty"},
	{name: "apple-enroll", unit: "ms/enrolment", bar: bar{ratio: atMost(0.80)}, ours: (*world).enrolling, run: enroll,
		what: "CPU of SCEP, Authenticate and TokenUpdate"},
	{name: "windows-session", unit: "ms/session", alone: true, ours: (*world).windows, run: windowsSession,
		what: "CPU of a session that finds nothing to do, proven by the client certificate of a kept connection"},
	{name: "agent-poll", unit: "ms/poll", alone: true, ours: (*world).agents, run: agentPoll,
		what: "CPU of a poll of the Windows agent that finds nothing to do"},
	{name: "rollout", unit: "ms/device", ours: (*world).apple, run: rollout,
		what: "CPU of a Profile per assigned device, from its PUT until all 200 have acknowledged it"},
	{name: "start-to-ready", unit: "s", alone: true, bar: bar{ours: atMost(0.5)}, ours: (*world).largeSQLite, run: startToReady,
		what: "from the start of the process until /readyz answers 200, SQLite with 10,000 imported devices"},
	{name: "memory-idle", unit: "MB", ours: (*world).apple, run: memoryIdle,
		what: "peak resident memory of a server that has started and does nothing"},
	{name: "memory-10000", unit: "MB", alone: true, bar: bar{ours: atMost(120)}, ours: (*world).large, run: memoryLarge,
		what: "peak resident memory of a replica while 10,000 enrolled devices check in over 16 connections"},
}

// cost is the CPU of the server and its database per request of a load, what they put off included: the server stops before it is counted.
func cost(s side, load func() Done) sample {
	server, database := s.cpu()
	s.mark()
	done := load()
	s.mark()
	s.stop()
	serverAfter, databaseAfter := s.cpu()
	part := perRequest(databaseAfter-database, done)
	return sample{value: perRequest(serverAfter-server, done) + part, database: part, client: perRequest(done.CPU, done)}
}

func perRequest(d time.Duration, done Done) float64 {
	return float64(d) / float64(time.Millisecond) / float64(done.Requests)
}

func (w *world) drive(s side, connections int) {
	s.devices().do("Open", connections)
	s.devices().drive(warmUp)
}

func idleCheckin(w *world, s side) sample {
	s.start()
	w.drive(s, few)
	return cost(s, func() Done { return s.devices().drive(span) })
}

func idleThroughput(w *world, s side) sample {
	s.start()
	defer s.stop()
	w.drive(s, many)
	s.mark()
	done := s.devices().drive(span)
	s.mark()
	return sample{value: float64(done.Requests) / done.Wall.Seconds(), client: perRequest(done.CPU, done)}
}

func roundTrip(_ *world, s side) sample {
	s.start()
	round := func() Done {
		s.queue()
		return s.devices().measure("Connections", 1)
	}
	round()
	return cost(s, func() Done {
		var all Done
		for range rounds {
			done := round()
			all.Requests += done.Requests
			all.CPU += done.CPU
		}
		return all
	})
}

func enroll(_ *world, s side) sample {
	s.start()
	s.prepare(batch / 10) // connections
	s.devices().measure("Install", Nothing{})
	s.prepare(batch)
	return cost(s, func() Done { return s.devices().measure("Install", Nothing{}) })
}

func windowsSession(_ *world, s side) sample {
	return poll(s, false)
}

func agentPoll(_ *world, s side) sample {
	return poll(s, true)
}

func poll(s side, agents bool) sample {
	s.start()
	s.devices().do("OpenPCs", agents)
	s.devices().drive(warmUp)
	return cost(s, func() Done { return s.devices().drive(span) })
}

func rollout(_ *world, s side) sample {
	s.start()
	s.assign()
	return cost(s, func() Done {
		s.rollout()
		return s.devices().measure("Connections", 1)
	})
}

func startToReady(_ *world, s side) sample {
	began := time.Now()
	s.start()
	took := time.Since(began)
	s.stop()
	return sample{value: took.Seconds()}
}

func memoryIdle(w *world, s side) sample {
	s.start()
	defer s.stop()
	return w.peak(s)
}

func memoryLarge(w *world, s side) sample {
	s.start()
	defer s.stop()
	w.drive(s, many)
	s.devices().drive(span)
	return w.peak(s)
}

func (w *world) peak(s side) sample {
	mb, err := peakResident(s.pid())
	w.must(err)
	return sample{value: mb}
}
