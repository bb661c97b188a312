package apple

import (
	"bytes"
	"fmt"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/xmlplist"
)

// mobileconfig reads a whole configuration profile and adds what Apple requires of every payload where it is missing, under durable names.
func mobileconfig(source *v1alpha1.ContentSource, name string, from content.Sources) (dict, error) {
	data, err := from.Of(source)
	if err != nil {
		return nil, err
	}
	// An ASN.1 sequence: nothing that is a property list starts with this byte.
	if bytes.HasPrefix(data, []byte{0x30}) {
		return nil, content.Unreadable("the mobileconfig is signed or encrypted: export it unsigned, spec.signing signs it when it is delivered")
	}
	var profile dict
	if err := xmlplist.Unmarshal(data, &profile); err != nil {
		if source.SecretRef != nil {
			// A decoder quotes what it stumbled over.
			return nil, content.Unreadable("the mobileconfig cannot be read as an XML property list; the fault may quote the Secret and is not shown")
		}
		return nil, content.Unreadable("the mobileconfig cannot be read as an XML property list: %v", err)
	}
	items, isArray := profile["PayloadContent"].(array)
	if !isArray {
		return nil, content.Unreadable("the mobileconfig has no array PayloadContent")
	}
	setDefault(profile, "PayloadVersion", 1)
	for i, item := range items {
		payload, isDict := item.(dict)
		if !isDict {
			return nil, content.Unreadable("PayloadContent[%d] of the mobileconfig is no dictionary", i)
		}
		identify(payload, fmt.Sprintf("%s.%d", name, i))
	}
	return profile, nil
}

// identify gives a payload what it needs besides its type. Names that it has already stay: other payloads may refer to them.
func identify(payload dict, name string) {
	setDefault(payload, "PayloadIdentifier", name)
	setDefault(payload, "PayloadUUID", durableUUID("payload", name))
	setDefault(payload, "PayloadVersion", 1)
}

func setDefault(d dict, key string, value any) {
	if _, set := d[key]; !set {
		d[key] = value
	}
}
