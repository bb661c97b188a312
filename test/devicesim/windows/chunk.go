package windows

import "strconv"

// split lays a package out in messages: the data of results is cut into pieces of at most size bytes (0: any number), and each but the last
// piece ends a message (OMA-DM Protocol 1.2, section 7: large objects).
func split(parts []*element, size int) [][]*element {
	var messages [][]*element
	var message []*element
	for _, part := range parts {
		data := part.at("Item/Data")
		if size == 0 || part.Local != "Results" || data == nil || len(data.text) <= size {
			message = append(message, part)
			continue
		}
		rest, whole := data.text, len(data.text)
		for len(rest) > size {
			messages = append(messages, append(message, piece(part, rest[:size], whole, true)))
			message, rest, whole = nil, rest[size:], 0
		}
		message = append(message, piece(part, rest, 0, false))
	}
	return append(messages, message)
}

// piece copies a Results with a piece of its data. Only the first tells the size of the whole.
func piece(results *element, data string, size int, more bool) *element {
	old := results.child("Item")
	meta := tag("Meta")
	if described := old.child("Meta"); described != nil {
		meta.children = append(meta.children, described.children...)
	}
	if size > 0 {
		meta.children = append(meta.children, tag("Size", attr("xmlns", nsMeta), strconv.Itoa(size)))
	}
	i := tag("Item", old.child("Source"), meta, tag("Data", data))
	if more {
		i.children = append(i.children, tag("MoreData"))
	}
	return tag("Results", results.child("MsgRef"), results.child("CmdRef"), i)
}
