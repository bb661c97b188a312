package servers_test

import (
	"bytes"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// keep returns a Secret as a person's backup would hold it.
func (b *bench) keep(name string) *corev1.Secret {
	b.Helper()
	s := &corev1.Secret{}
	b.get(name, s)
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: s.Labels, Annotations: s.Annotations}, Data: s.Data}
}

func TestLostSealingKeyStallsUntilItIsRestored(t *testing.T) {
	for name, lose := range map[string]func(*bench){
		"the Secret": func(b *bench) { b.remove("mdm-sealing", &corev1.Secret{}) },
		"the key": func(b *bench) {
			edit(b, "mdm-sealing", &corev1.Secret{}, func(s *corev1.Secret) { delete(s.Data, "key-1") })
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := running(t)
			backup := b.keep("mdm-sealing")
			lose(b)
			for range 2 {
				b.reconcileServer()
			}
			b.expect(b.mdmServer(), "CredentialsReady=False/KeyLost", "Stalled=True/KeyLost", "Ready=False/KeyLost")
			s := &corev1.Secret{}
			if b.exists("mdm-sealing", s) {
				if len(s.Data["key-1"]) != 0 {
					t.Fatal("the key was made anew")
				}
				b.remove("mdm-sealing", s)
			}
			b.create(backup)
			b.reconcileServer()
			b.expect(b.mdmServer(), "CredentialsReady=True/Ready", "Ready=True/Connected")
		})
	}
}

func TestAnotherSealingKeyIsKeptInMind(t *testing.T) {
	b := running(t)
	edit(b, "mdm-sealing", &corev1.Secret{}, func(s *corev1.Secret) {
		s.Data["key-2"], s.Data["primary"] = bytes.Repeat([]byte("k"), 32), []byte("key-2")
	})
	b.reconcileServer()
	if got := b.mdmServer().Status.SealingKeys; len(got) != 2 {
		t.Errorf("sealing keys %q", got)
	}
	b.expect(b.mdmServer(), "CredentialsReady=True/Ready")
}

// volume leaves the volume claim that an earlier server of this name had.
func (b *bench) volume() {
	b.Helper()
	b.create(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data-mdm-0"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}})
}

func TestVolumeOfAnEarlierServerNeedsItsSealingKey(t *testing.T) {
	b := newBench(t)
	b.volume()
	b.create(newServer())
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=False/KeyLost", "Stalled=True/KeyLost")
	if b.exists("mdm-sealing", &corev1.Secret{}) {
		t.Error("another sealing key was made for data that it cannot open")
	}
}
