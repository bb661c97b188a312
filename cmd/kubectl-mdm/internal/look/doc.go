// Package look is what the verbs of kubectl mdm share that only look: lists read page by page, what of them needs a person, and text for people.
package look
