// Package doing is what the verbs share that change something: they find what is named, ask people, and tell what a policy says.
package doing
