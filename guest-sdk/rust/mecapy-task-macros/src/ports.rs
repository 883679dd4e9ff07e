//! `#[derive(Ports)]`.

use crate::names::Case;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Data, DataEnum, DataStruct, DeriveInput, Error, Expr, ExprLit, Field, Fields, Lit, LitStr, Meta, Result,
    Token, meta::ParseNestedMeta, token::Paren,
};

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(&item.generics, "ports are those of a type without parameters"));
    }
    let container = Serde::of(&item.attrs)?;
    let ty = match &item.data {
        Data::Struct(data) => of_struct(data, &container, &item)?,
        Data::Enum(data) => of_enum(data, &container)?,
        Data::Union(_) => return Err(Error::new_spanned(&item.ident, "a union has no ports")),
    };
    let name = &item.ident;
    Ok(quote! {
        impl ::mecapy_task::Ports for #name {
            const TYPE: ::mecapy_task::Type = #ty;
        }
    })
}

fn of_struct(data: &DataStruct, container: &Serde, item: &DeriveInput) -> Result<TokenStream> {
    match &data.fields {
        Fields::Named(fields) => {
            let mut ports = Vec::new();
            for field in &fields.named {
                ports.extend(port(field, container)?);
            }
            Ok(quote! { ::mecapy_task::Type::Struct(&[#(#ports),*]) })
        }
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
            let inner = fields.unnamed.iter().map(|field| &field.ty);
            Ok(quote! { #(<#inner as ::mecapy_task::Ports>::TYPE)* })
        }
        _ => Err(Error::new_spanned(&item.ident, "a struct needs named fields to have ports")),
    }
}

fn of_enum(data: &DataEnum, container: &Serde) -> Result<TokenStream> {
    let mut texts = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(variant, "only enums whose variants have no fields are types of ports"));
        }
        let serde = Serde::of(&variant.attrs)?;
        if !serde.skip {
            texts.push(serde.name(&variant.ident.to_string(), container));
        }
    }
    Ok(quote! { ::mecapy_task::Type::Literal(&[#(#texts),*]) })
}

fn port(field: &Field, container: &Serde) -> Result<Option<TokenStream>> {
    let serde = Serde::of(&field.attrs)?;
    if serde.skip {
        return Ok(None);
    }
    if serde.flatten {
        return Err(Error::new_spanned(field, "a flattened field has no port of its own: write its fields out"));
    }
    let told = Told::of(&field.attrs)?;
    let ident = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
    let name = serde.name(ident.trim_start_matches("r#"), container);
    let rust = &field.ty;
    let ty = match told.ty {
        Some(name) => quote! { ::mecapy_task::Type::Named(#name) },
        None => quote! { <#rust as ::mecapy_task::Ports>::TYPE },
    };
    let (unit, validity, description) = (told.unit, told.validity, description(&field.attrs));
    let required = !(serde.default || container.default || is_option(rust));
    Ok(Some(quote! {
        ::mecapy_task::Port {
            name: #name,
            ty: #ty,
            unit: #unit,
            description: #description,
            validity: #validity,
            required: #required,
        }
    }))
}

fn is_option(ty: &syn::Type) -> bool {
    matches!(ty, syn::Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}

/// What `#[port(…)]` says.
#[derive(Default)]
struct Told {
    ty: Option<String>,
    unit: String,
    validity: String,
}

impl Told {
    fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut told = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("port")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("type") {
                    told.ty = Some(text(&meta)?);
                } else if meta.path.is_ident("unit") {
                    told.unit = text(&meta)?;
                } else if meta.path.is_ident("validity") {
                    told.validity = text(&meta)?;
                } else {
                    return Err(meta.error("a port has a type, a unit and a validity"));
                }
                Ok(())
            })?;
        }
        Ok(told)
    }
}

fn text(meta: &ParseNestedMeta<'_>) -> Result<String> {
    Ok(meta.value()?.parse::<LitStr>()?.value())
}

/// What `#[serde(…)]` says that changes names, or which fields there are.
#[derive(Default)]
struct Serde {
    rename: Option<String>,
    rename_all: Option<Case>,
    default: bool,
    skip: bool,
    flatten: bool,
}

impl Serde {
    fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut serde = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| serde.take(&meta))?;
        }
        Ok(serde)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let is = |name: &str| meta.path.is_ident(name);
        let renames = is("rename") || is("rename_all");
        if renames && !meta.input.peek(Token![=]) {
            return Err(meta.error("ports have one name: write rename = \"…\" or rename_all = \"…\""));
        }
        if is("rename") {
            self.rename = Some(text(meta)?);
        } else if is("rename_all") {
            self.rename_all = Some(Case::parse(&meta.value()?.parse()?)?);
        } else {
            self.default |= is("default");
            self.skip |= is("skip") || is("skip_deserializing") || is("skip_serializing");
            self.flatten |= is("flatten");
            pass_over(meta)?;
        }
        Ok(())
    }

    fn name(&self, ident: &str, container: &Self) -> String {
        let by_rule = || container.rename_all.map_or_else(|| ident.to_owned(), |case| case.apply(ident));
        self.rename.clone().unwrap_or_else(by_rule)
    }
}

/// The value of an attribute that says nothing about ports.
fn pass_over(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<Expr>()?;
    } else if meta.input.peek(Paren) {
        let inside;
        syn::parenthesized!(inside in meta.input);
        inside.parse::<TokenStream>()?;
    }
    Ok(())
}

/// A documentation comment as one line.
pub(crate) fn description(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_ports_is_refused() {
        let rows = [
            (quote! { struct Pair(f64, f64); }, "needs named fields"),
            (quote! { struct Nothing; }, "needs named fields"),
            (quote! { struct Of<T> { x: T } }, "without parameters"),
            (quote! { union Bits { x: f64 } }, "a union has no ports"),
            (quote! { enum Shape { Circle(f64) } }, "no fields"),
            (quote! { struct A { #[port(colour = "red")] x: f64 } }, "a type, a unit and a validity"),
            (quote! { struct A { #[serde(flatten)] x: B } }, "a flattened field has no port"),
            (quote! { struct A { #[serde(rename(serialize = "y"))] x: f64 } }, "ports have one name"),
        ];
        for (item, words) in rows {
            let error = expand(item).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
