// Package validate says of an object what the schema and CEL cannot: one pure function per kind that needs it. The webhooks, the guard step of the
// controllers and the lint command call the same functions, so that an object is judged alike with webhooks and without.
package validate
