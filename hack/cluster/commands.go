package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func buildCommand() *cobra.Command {
	var only string
	command := &cobra.Command{
		Use:   "build",
		Short: "Build everything into the cache; what is already there is not built again",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := newBuilder(os.Stdout)
			if err != nil {
				return err
			}
			switch only {
			case "":
				return b.build(cmd.Context(), artifacts)
			case "envtest":
				return b.build(cmd.Context(), envtestArtifacts)
			default:
				return fmt.Errorf("--only=%s: the one part that can be built alone is envtest", only)
			}
		},
	}
	command.Flags().StringVar(&only, "only", "", "build just this part: envtest (kube-apiserver, etcd and kubectl)")
	return command
}

func assetsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "assets",
		Short: "Print the folder of kube-apiserver, etcd and kubectl (KUBEBUILDER_ASSETS), building them if missing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := newBuilder(os.Stderr)
			if err != nil {
				return err
			}
			if err := b.build(cmd.Context(), envtestArtifacts); err != nil {
				return err
			}
			fmt.Println(b.folder("kubernetes"))
			return nil
		},
	}
}

// clusterCommand returns a command without arguments that does one thing with the cluster.
func clusterCommand(use, short string, run func(context.Context, *cluster) error) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := newCluster(os.Stderr)
			if err != nil {
				return err
			}
			return run(cmd.Context(), c)
		},
	}
}

func upCommand() *cobra.Command {
	port := defaultPort
	command := clusterCommand("up", "Start the cluster, or repair it, and wait until everything works", func(ctx context.Context, c *cluster) error {
		c.port = port
		return c.up(ctx)
	})
	command.Flags().IntVar(&port, "port", port, "port of the apiserver on "+nodeAddress)
	return command
}

func downCommand() *cobra.Command {
	return clusterCommand("down", "Stop the cluster and remove everything that is its own", func(ctx context.Context, c *cluster) error {
		return c.down(ctx)
	})
}

func statusCommand() *cobra.Command {
	return clusterCommand("status", "Print one line for each part; exit 1 unless all work", func(ctx context.Context, c *cluster) error {
		if err := c.requireUp(); err != nil {
			return err
		}
		lines, healthy := c.status(ctx)
		for _, line := range lines {
			fmt.Println(line)
		}
		if !healthy {
			return errAlreadyReported
		}
		return nil
	})
}

func kubeconfigCommand() *cobra.Command {
	return clusterCommand("kubeconfig", "Print the path of the administrator's kubeconfig", func(_ context.Context, c *cluster) error {
		fmt.Println(c.kubeconfig())
		return nil
	})
}

func loadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "load IMAGE.tar...",
		Short: "Import image archives, for pods with imagePullPolicy Never or IfNotPresent",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, archives []string) error {
			c, err := newCluster(os.Stderr)
			if err != nil {
				return err
			}
			if err := c.requireUp(); err != nil {
				return err
			}
			for _, archive := range archives {
				imported, err := c.ctr(cmd.Context(), "images", "import", archive)
				if err != nil {
					return err
				}
				fmt.Println(imported)
			}
			return nil
		},
	}
}

func volumesCommand() *cobra.Command {
	count := defaultVolumes
	command := clusterCommand("volumes", "Empty the released volumes and make sure that enough are free", func(ctx context.Context, c *cluster) error {
		if err := c.requireUp(); err != nil {
			return err
		}
		unlock, err := c.lock()
		if err != nil {
			return err
		}
		defer unlock()
		return c.ensureVolumes(ctx, count)
	})
	command.Flags().IntVar(&count, "count", count, "how many volumes of StorageClass "+storageClass+" must be free")
	return command
}

func leftoversCommand() *cobra.Command {
	return clusterCommand("leftovers", "Print what is still there of the cluster; exit 1 if anything is", func(ctx context.Context, c *cluster) error {
		found, err := c.leftovers(ctx)
		if err != nil {
			return err
		}
		for _, line := range found {
			fmt.Println(line)
		}
		if len(found) > 0 {
			return errAlreadyReported
		}
		return nil
	})
}
