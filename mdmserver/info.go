package mdmserver

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"maps"
	"slices"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/config"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/push"
)

// info is the answer to adminapi.PathInfo.
func (s *Server) info(ctx context.Context) (*adminapi.Info, error) {
	info := s.Describe()
	var err error
	if info.LeaseEpoch, err = s.fleet.LeaseEpoch(ctx); err == nil {
		info.Enrolled, info.Behind, info.Responding, err = s.fleet.Counts(ctx)
	}
	if err != nil && !errors.Is(err, fleet.ErrUnavailable) {
		return nil, err
	}
	info.Store = s.store.Problem()
	return info, nil
}

// Describe returns what is known of the server without asking the store.
func (s *Server) Describe() *adminapi.Info {
	info := &adminapi.Info{
		Version:    s.version,
		StoreEpoch: s.fleet.StoreEpoch(),
		Serving:    certificateInfo(s.creds.Serving().Leaf),
		Refused:    s.creds.Refused(),

		IdentityCAs: caInfos(s.creds.IdentityCAs()),
		WSTEPCAs:    caInfos(s.creds.WSTEPCAs()),
	}
	keys := s.creds.Sealing()
	info.SealingKeys = []string{keys.Primary}
	for _, id := range slices.Sorted(maps.Keys(keys.Keys)) {
		if id != keys.Primary {
			info.SealingKeys = append(info.SealingKeys, id)
		}
	}
	if s.pusher != nil {
		info.Push = s.pushInfo(info.Refused[config.FolderPush])
	}
	return info
}

// pushInfo describes pushing; refused is why a mounted push certificate is not in use, or "".
func (s *Server) pushInfo(refused string) adminapi.PushInfo {
	info := s.pusher.Status()
	cert, topic, ok := s.creds.Push()
	if ok {
		info.Certificate, info.Topic = certificateInfo(cert.Leaf), topic
	}
	if info.Reason == push.ReasonNoCertificate && refused != "" {
		info.Message = refused
	}
	return info
}

// Counts counts enrolled devices, those with work waiting, and those seen within the silence limit.
func (s *Server) Counts(ctx context.Context) (enrolled, behind, responding int, err error) {
	return s.fleet.Counts(ctx)
}

func caInfos(cas []identity.CA) []adminapi.CAInfo {
	var infos []adminapi.CAInfo
	for _, ca := range cas {
		infos = append(infos, adminapi.CAInfo{CertificateInfo: certificateInfo(ca.Cert), Generation: ca.Generation, Role: string(ca.Role)})
	}
	return infos
}

func certificateInfo(cert *x509.Certificate) adminapi.CertificateInfo {
	fingerprint := sha256.Sum256(cert.Raw)
	return adminapi.CertificateInfo{Fingerprint: hex.EncodeToString(fingerprint[:]), NotAfter: cert.NotAfter}
}
