package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ensureNodeLink makes the bridge that carries the node's address.
func ensureNodeLink(ctx context.Context) error {
	if _, err := os.Stat("/sys/class/net/" + nodeLink); errors.Is(err, os.ErrNotExist) {
		if _, err := command(ctx, "", "ip", "link", "add", nodeLink, "type", "bridge"); err != nil {
			return fmt.Errorf("the kernel makes no bridge (is the module `bridge` missing?): %w", err)
		}
	}
	if _, err := command(ctx, "", "ip", "address", "replace", nodeAddress+"/32", "dev", nodeLink); err != nil {
		return err
	}
	_, err := command(ctx, "", "ip", "link", "set", nodeLink, "up")
	return err
}

// ownLinks lists the cluster's network links below sys (/sys/class/net): both bridges and the pods' ends.
func ownLinks(sys string) ([]string, error) {
	entries, err := os.ReadDir(sys)
	if err != nil {
		return nil, fmt.Errorf("listing network links: %w", err)
	}
	var own []string
	for _, entry := range entries {
		bridge, _ := os.Readlink(filepath.Join(sys, entry.Name(), "master")) // absent outside a bridge
		if entry.Name() == nodeLink || entry.Name() == podBridge || filepath.Base(bridge) == podBridge {
			own = append(own, entry.Name())
		}
	}
	return own, nil
}

// removeLinks removes them; the pods' ends may also go by themselves, with their namespaces.
func removeLinks(ctx context.Context) error {
	return poll(ctx, 10*time.Second, "network links to go", func() (bool, error) {
		own, err := ownLinks("/sys/class/net")
		for _, link := range own {
			_, failed := command(ctx, "", "ip", "link", "delete", "dev", link)
			err = errors.Join(err, failed)
		}
		return len(own) == 0, err
	})
}

// proxyTable is the name that kube-proxy gives its nftables tables; it cannot be chosen.
const proxyTable = "kube-proxy"

// ownTables returns the tables in the output of `nft list tables` that the cluster's kube-proxy left, as family and
// name. They are another cluster's if another kube-proxy is running.
func ownTables(listing string, foreignProxy bool) []string {
	var own []string
	for line := range strings.Lines(listing) {
		table := strings.TrimPrefix(strings.TrimSpace(line), "table ")
		if _, name, _ := strings.Cut(table, " "); name == proxyTable && !foreignProxy {
			own = append(own, table)
		}
	}
	return own
}

func listOwnTables(ctx context.Context) ([]string, error) {
	listing, err := command(ctx, "", "nft", "list", "tables")
	if err != nil {
		return nil, err
	}
	all, err := processes("/proc")
	if err != nil {
		return nil, err
	}
	foreign := slices.ContainsFunc(all, func(p process) bool {
		return p.name() == proxyTable && !inOwnCgroup("/proc", p.pid)
	})
	return ownTables(listing, foreign), nil
}

func removeTables(ctx context.Context) error {
	own, err := listOwnTables(ctx)
	for _, table := range own {
		family, name, _ := strings.Cut(table, " ")
		_, failed := command(ctx, "", "nft", "delete", "table", family, name)
		err = errors.Join(err, failed)
	}
	return err
}
