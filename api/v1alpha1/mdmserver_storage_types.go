package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// StorageType selects a member of Storage.
//
// +kubebuilder:validation:Enum=SQLite;PostgreSQL
type StorageType string

// The kinds of storage.
const (
	// StorageSQLite keeps state in a file on a volume of the server's own. It allows one replica.
	StorageSQLite StorageType = "SQLite"
	// StoragePostgreSQL keeps state in a PostgreSQL database that all replicas share.
	StoragePostgreSQL StorageType = "PostgreSQL"
)

// Storage is where a server keeps its state.
//
// +kubebuilder:validation:XValidation:rule="has(self.postgresql) == (self.type == 'PostgreSQL')",message="postgresql is required with type PostgreSQL and not allowed with another type"
type Storage struct {
	// type is the kind of storage: SQLite for a single pod with a volume of its own, PostgreSQL for any number of pods over a database that you run.
	// +unionDiscriminator
	// +optional
	// +kubebuilder:default=SQLite
	Type StorageType `json:"type,omitempty"`

	// sqlite configures storage of type SQLite, and counts for nothing with another type. It cannot be changed; a volume that gets too small is grown by
	// editing its PersistentVolumeClaim.
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="sqlite is immutable: grow a volume by editing its PersistentVolumeClaim"
	SQLite SQLiteStorage `json:"sqlite,omitzero"`

	// postgresql configures storage of type PostgreSQL.
	// +optional
	PostgreSQL *PostgreSQLStorage `json:"postgresql,omitempty"`
}

// SQLiteStorage keeps state in a file on a persistent volume.
type SQLiteStorage struct {
	// size of the volume. A thousand devices need some hundred megabytes, most of it results of commands.
	// +optional
	// +kubebuilder:default="5Gi"
	Size resource.Quantity `json:"size,omitzero"`

	// storageClassName of the volume; absent: the cluster's default class.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	StorageClassName string `json:"storageClassName,omitempty"`
}

// PostgreSQLStorage keeps state in a database of PostgreSQL 15 or newer, which the server fills by itself. Nobody else may write to it.
type PostgreSQLStorage struct {
	// secretRef is the Secret, in the namespace of the MDMServer, that says how to reach the database. It holds either
	// "uri" (postgresql://user:password@host:5432/database?sslmode=verify-full), or
	// "host", "user" or "username", "password", "dbname" or "database", and optionally "port" (5432) and "sslmode".
	// "ca.crt" in it is the CA of the database's certificate, "tls.crt" and "tls.key" are the server's own for a database that asks for one.
	//
	// The Secrets that operators make fit as they are: <cluster>-app of CloudNativePG, <cluster>-pguser-<user> of Crunchy's operator. For a database of a cloud
	// provider write host, user, password and dbname yourself, and the provider's CA to "ca.crt".
	//
	// The connection is encrypted, and the database's certificate must be of a known CA and for the host (sslmode=verify-full), unless the Secret says another
	// sslmode. A new content counts for new connections within a minute or two and restarts nothing. The name can change only while replicas is 0.
	// +required
	SecretRef LocalReference `json:"secretRef,omitzero"`

	// caRef is where the CA (PEM) of the database's certificate is, if it is not in the Secret of secretRef: the Secret <cluster>-ca of CloudNativePG or
	// <cluster>-cluster-cert of Crunchy's operator, each with the key ca.crt, or a ConfigMap with the bundle of a cloud provider. It wins over "ca.crt" of that
	// Secret. Absent, with no "ca.crt" there: the public CAs.
	// +optional
	CARef *CAReference `json:"caRef,omitempty"`

	// maxConnections is how many connections to the database the pods open at most, all together. Each pod gets an equal share, counted with the one pod that
	// there is more while pods are replaced: 20 for 2 replicas are 6 for each. A share of 4 is the least. Keep it below max_connections of the database, with
	// room for its backups and for people.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=8
	// +kubebuilder:validation:Maximum=1000
	MaxConnections int32 `json:"maxConnections,omitempty"`
}

// CAReferenceKind is a kind of object that holds a CA.
//
// +kubebuilder:validation:Enum=Secret;ConfigMap
type CAReferenceKind string

// The kinds of objects that hold a CA.
const (
	CAReferenceSecret    CAReferenceKind = "Secret"
	CAReferenceConfigMap CAReferenceKind = "ConfigMap"
)

// CAReference names a key of a Secret or ConfigMap in the same namespace.
type CAReference struct {
	// kind of the object: Secret or ConfigMap.
	// +optional
	// +kubebuilder:default=Secret
	Kind CAReferenceKind `json:"kind,omitempty"`

	// name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// key in the object.
	// +optional
	// +kubebuilder:default=ca.crt
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`
}
