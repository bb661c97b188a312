package windows

import (
	"context"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// sessions is what management sessions ask of fleet.Fleet.
type sessions interface {
	DigestCredentials(ctx context.Context, deviceID string) (*fleet.DigestCredentials, error)
	Manage(ctx context.Context, id fleet.Identity, deviceID string, by adminapi.ManagementAuthentication, m fleet.WindowsMessage) ([]fleet.WindowsOrder, error)
}
