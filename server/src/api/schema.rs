//! OpenAPI schemas of records, made from their descriptions.

use domain::{Field, Kind, Record, field::camel_case};
use serde_json::{Value as Json, json};
use utoipa::openapi::{
    RefOr, Schema,
    schema::{
        ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type,
    },
};

/// The fields of a record in a response, beside the other members of `meta`.
pub fn response<T>(record: &Record<T>, meta: RefOr<Schema>) -> RefOr<Schema> {
    let required = record.fields.iter().flat_map(Field::json_names);
    let mut fields = required.fold(object(record, true), |object, name| object.required(name));
    if let RefOr::T(Schema::Object(meta)) = meta {
        for (name, schema) in meta.properties {
            fields = fields.property(name, schema);
        }
        fields = meta.required.into_iter().fold(fields, |object, name| object.required(name));
    }
    fields.build().into()
}

/// The body of a PATCH: an absent member stays, null empties.
pub fn patch<T>(record: &Record<T>, picture: Option<&str>) -> RefOr<Schema> {
    with_picture(object(record, false), picture).build().into()
}

/// The body of a POST. Required fields that have a default for new records are in `defaults`.
pub fn create<T>(record: &Record<T>, defaults: &[&str]) -> RefOr<Schema> {
    let required = record
        .fields
        .iter()
        .filter(|field| field.required.is_some() && !defaults.contains(&&*field.name))
        .flat_map(Field::json_names);
    required.fold(object(record, false), |object, name| object.required(name)).build().into()
}


fn object<T>(record: &Record<T>, is_response: bool) -> ObjectBuilder {
    record.fields.iter().fold(ObjectBuilder::new().schema_type(Type::Object), |object, field| {
        members(field, is_response).into_iter().fold(object, |object, (name, schema)| object.property(name, schema))
    })
}

fn with_picture(object: ObjectBuilder, name: Option<&str>) -> ObjectBuilder {
    let Some(name) = name else { return object };
    let file = ObjectBuilder::new()
        .schema_type(nullable(Type::String, true))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
        .description(Some(
            "The fileId of an uploaded JPEG, PNG or WebP. It is turned upright, cropped to a square and made small.",
        ));
    object.property(name, file)
}

/// The JSON members of a field. In a response, a choice with a default is never null.
fn members<T>(field: &Field<T>, is_response: bool) -> Vec<(String, RefOr<Schema>)> {
    let text = ObjectBuilder::new;
    let is_nullable = match &field.kind {
        Kind::Choice { default: Some(_), .. } => !is_response,
        Kind::YesNo => false,
        _ => field.required.is_none(),
    };
    let string = |builder: ObjectBuilder| builder.schema_type(nullable(Type::String, is_nullable));
    let format = |format| Some(SchemaFormat::KnownFormat(format));
    let builder = match &field.kind {
        Kind::Text { max } => {
            let limited = string(text()).max_length(Some(*max));
            if field.required.is_some() { limited.min_length(Some(1)) } else { limited }
        }
        Kind::LongText { max } => string(text()).max_length(Some(*max)),
        Kind::Email => string(text()).max_length(Some(254)),
        Kind::Phone { .. } => string(text()).max_length(Some(40)),
        Kind::Url => string(text()).max_length(Some(300)),
        Kind::PastDate => string(text()).format(format(KnownFormat::Date)).examples([json!("2026-11-25")]),
        Kind::Choice { choices, .. } => {
            let values: Vec<_> = choices.iter().map(|(value, _)| &**value).collect();
            string(text()).pattern(Some(format!("^({})$", values.join("|")))).examples([json!(values[0])])
        }
        Kind::Reference(_) => string(text()).format(format(KnownFormat::Uuid)),
        Kind::YesNo => text().schema_type(nullable(Type::Boolean, is_nullable)),
        Kind::Country => string(text()).pattern(Some("^[A-Z]{2}$")),
        Kind::TimeZone => string(text()),
        Kind::Tags { max, .. } => return vec![(camel_case(&field.name), tags(field, *max, is_response))],
        Kind::PartialDate => return partial_date(field),
    };
    let builder = builder.description(description(field));
    let builder = match field.example {
        Some(example) => builder.examples([json!(example)]),
        None => builder,
    };
    vec![(camel_case(&field.name), builder.build().into())]
}

fn tags<T>(field: &Field<T>, max: usize, is_response: bool) -> RefOr<Schema> {
    let item = ObjectBuilder::new().schema_type(Type::String);
    ArrayBuilder::new()
        .schema_type(nullable(Type::Array, !is_response))
        .items(item)
        .max_items(Some(max))
        .description(description(field))
        .examples([json!(["Choir", "Needs a lift"])])
        .build()
        .into()
}

fn partial_date<T>(field: &Field<T>) -> Vec<(String, RefOr<Schema>)> {
    let limits = [(1, 31), (1, 12), (1850, 2200)];
    let part = |(name, (min, max)): (String, (i64, i64))| {
        let part = ObjectBuilder::new()
            .schema_type(nullable(Type::Integer, true))
            .minimum(Some(min))
            .maximum(Some(max))
            .description(description(field))
            .examples([Json::from(min)]);
        (name, part.build().into())
    };
    field.json_names().into_iter().zip(limits).map(part).collect()
}

fn nullable(of: Type, is_nullable: bool) -> SchemaType {
    if is_nullable { SchemaType::from_iter([of, Type::Null]) } else { of.into() }
}

fn description<T>(field: &Field<T>) -> Option<String> {
    field.api_note.or(field.hint).map(str::to_owned)
}
