//! The catalogue over HTTP: what makers register, to read.

use axum::extract::State;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    error::ApiError,
    extract::{Json, Path, Query},
    list::limit,
    reference::list,
};
use crate::{
    api::{List, medications::Product, problem::Problem},
    server::catalog::CatalogQuery,
};

/// The operations.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(search_catalog)).routes(routes!(get_product))
}

/// Which products to show.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ProductFilter {
    /// Words that all begin words of name, ingredients, maker, form or code, case and accents ignored; or a code on a box.
    #[param(example = "midazolam")]
    q: Option<String>,
    /// Entries of the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Products of the medicine directories. `total` counts products.
#[utoipa::path(
    get, path = "/v1/catalog", tag = "catalog", operation_id = "search_catalog",
    security(("bearer" = ["reference:read"])), params(ProductFilter),
    responses((status = 200, description = "A page of products", body = List<Product>))
)]
async fn search_catalog(
    State(state): State<AppState>,
    Query(filter): Query<ProductFilter>,
) -> Result<Json<List<Product>>, ApiError> {
    let query = CatalogQuery { text: filter.q, limit: limit(filter.limit)?, after: filter.cursor };
    Ok(list(state.products().products(query).await?))
}

/// One product by its directory's own key.
#[utoipa::path(
    get, path = "/v1/catalog/{directory}/{key}", tag = "catalog", operation_id = "get_product",
    security(("bearer" = ["reference:read"])),
    params(("directory" = String, Path, example = "anvisa"), ("key" = String, Path, example = "154230123")),
    responses(
        (status = 200, description = "The product", body = Product),
        (status = 404, description = "There is no such product", body = Problem)
    )
)]
async fn get_product(
    State(state): State<AppState>,
    Path((directory, key)): Path<(String, String)>,
) -> Result<Json<Product>, ApiError> {
    Ok(Json(state.products().product(&directory, &key).await?))
}
